"""The commands, one or a few to a file. Each opens what it needs, calls the library, and shows."""
