"""The only modules that call AWS. Each checks what AWS answers before it passes it on."""
