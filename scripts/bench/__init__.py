"""What bench.py's subcommands share, and those that have grown."""
