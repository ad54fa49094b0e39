"""What is known of the cluster, kept small in memory and fed by watches and lists."""
