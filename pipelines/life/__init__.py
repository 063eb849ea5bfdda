"""The life of a job: its folder and lock, what it keeps, how it ends and is taken up again."""
