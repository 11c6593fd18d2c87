"""Makes visits happen and loses nothing: a worker that measures, a runner that keeps it alive, a journal."""
