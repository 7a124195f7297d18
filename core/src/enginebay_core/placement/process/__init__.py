"""Runs a backend in a child process: its crash, hang or leak costs its own requests alone."""
