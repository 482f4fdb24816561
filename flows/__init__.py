"""What runs, in which order: the benchmark flow, the demo, the parameters, the command line."""
