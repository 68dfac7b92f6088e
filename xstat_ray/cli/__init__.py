"""The command line: configuration checked at the edge, and what the terminal shows."""
