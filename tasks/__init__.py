"""Prefect's view of the steps of a flow: one file for each, a thin shell over plain functions."""
