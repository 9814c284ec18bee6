"""Live streams: protocol, server, client, encoders and the web viewer."""
