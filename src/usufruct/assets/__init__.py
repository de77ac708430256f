"""What is published: files and tables with their manifests, checks, versions, sealed copies."""
