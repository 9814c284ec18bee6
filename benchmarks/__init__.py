"""What `unreel bench` runs: results as JSON and a Markdown table."""
