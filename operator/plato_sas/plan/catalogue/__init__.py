"""What to do next about one catalogue, and whether its tables can be made."""
