"""What is known of the cluster: the objects watched, packed and parsed."""
