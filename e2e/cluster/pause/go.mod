module plato-sas.io/e2e/pause

go 1.26
