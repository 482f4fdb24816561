"""What runs, in which order: one file for each flow."""
