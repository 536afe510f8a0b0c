"""How fast is the lab? Measured beside C and bare Python that do the same work, in one run."""
