"""Messages and mailboxes: EML, MSG and mbox."""

from mm_rag_loaders.mail.email_loader import EmailLoader

__all__ = ["EmailLoader"]
