"""StarCatalogue resources: the results of a campaign as tables, made by the operator in the cluster."""
