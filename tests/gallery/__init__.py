"""The gallery: what the harness's report looks like, drawn from the reference runs that the repository keeps."""
