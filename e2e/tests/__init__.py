"""End-to-end tests: custom resources in, products and status out, on the real node with the real images."""
