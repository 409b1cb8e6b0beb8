"""What a person looks at to judge a run and to tune it. Reads a run's folders and writes nothing."""
