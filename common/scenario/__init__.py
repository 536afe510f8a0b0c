"""What should happen: the schema of a scenario, its loading, and its plan."""
