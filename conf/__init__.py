"""Configurations of the jobs, and the groups of choices: studies, noise, scales, clusters."""
