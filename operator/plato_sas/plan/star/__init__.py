"""One star: what its Jobs mean for its steps, and what to do next."""
