"""Image models: a base that has seen images before, a head for the task at hand.

`backbones` holds the encoders, `weights` where theirs come from. `strategies` has a file for each
way to learn: `transfer` fits a `head` to `features` of a frozen base, the others train layers on
through `tuning`, under `augment`'s random views. `scorer` answers as it is served, and `export`
writes that for other machines; `conformal` and `outliers` say how sure it is, `gradcam` where it
looked.
"""
