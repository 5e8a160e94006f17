"""What adapters share: writing a Graph, matching the caller's inputs to a file's, and the arithmetic of shapes."""
