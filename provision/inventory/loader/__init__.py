"""YAML to `Cluster`, or every problem at once with file, line, column, field and hint."""
