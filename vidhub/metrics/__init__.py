"""Figures of merit: NumPy arrays in, numbers out."""
