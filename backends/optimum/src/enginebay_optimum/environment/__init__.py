"""What ``enginebay env create optimum`` reads: the files beside this one. Nothing imports it."""
