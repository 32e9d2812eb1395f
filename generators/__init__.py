DISTRIBUTION = "distill-toolkit"
