"""What programs spell out in several steps and the vocabulary has one name for, where several adapters meet it.

A pattern is put together only where its steps stand in one region, each read by the next step alone, and where it
computes exactly what the one layer does; anything else stays as the program has it.
"""
