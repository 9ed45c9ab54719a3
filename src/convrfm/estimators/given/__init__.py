"""What a fit is given: images, targets, weights, groups, copies and folds, checked and coded."""
