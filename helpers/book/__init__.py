"""From notebooks to a site: execute, dress, stage, build. Knows nothing about compression."""
