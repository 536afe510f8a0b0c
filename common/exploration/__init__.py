"""Which orders of steps are there, and what does each lead to? Walks them on real processes."""
