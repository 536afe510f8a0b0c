"""What has a pid: spawning, supervision, and what a child process runs."""
