"""Image models: a base that has seen images before, a head for the task at hand.

`backbones` holds the encoders and where their weights come from; `transfer` freezes a base and
fits a head to its features; `finetune` trains layers of it on, under `augment`'s random views;
`scorer` packs the outcome; `gradcam` shows where it looked.
"""
