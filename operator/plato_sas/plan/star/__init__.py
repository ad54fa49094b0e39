"""What to do next about one star."""
