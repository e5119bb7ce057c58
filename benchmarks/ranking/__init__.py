"""Ranking on sets of different nature, in halves: one to choose on, the other to report."""
