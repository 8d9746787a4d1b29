"""What a connector is: one protocol, roles as data, eight error words, an HTTP session and the conformance kit."""
