"""What the platform needs before it runs. It begins on a bare Python, which installs the Debian packages."""
