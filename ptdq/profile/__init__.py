"""What a runtime's own profiler says of a model's calls: operations, their time, their kernels.

Below the variants: whatever loads a model is watched from outside, so that a variant of another package
is profiled like those that are built in.
"""
