"""The battery of benchmarks/accuracy_torch.py: nets with closed forms, the counters beside multiprof, the tables."""
