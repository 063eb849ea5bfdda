"""Side by side with what a user would pick instead; a package, because opacus installs one too."""
