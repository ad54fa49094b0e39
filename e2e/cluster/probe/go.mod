module plato-sas.io/e2e/probe

go 1.26
