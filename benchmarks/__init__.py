"""What makes the README's numbers."""
