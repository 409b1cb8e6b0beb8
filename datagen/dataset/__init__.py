"""What a run is turned into for trainers."""
