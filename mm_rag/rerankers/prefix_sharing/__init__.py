"""Prefix sharing: tokens that several pairs begin with are computed once."""
