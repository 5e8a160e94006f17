"""What latency_checks.py measures: one module for each kind of check."""
