"""What people build on the package. A regular package: some that pip installs bring an `examples` of their own."""
