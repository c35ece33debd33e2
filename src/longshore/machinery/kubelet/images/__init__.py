"""Images for a node's pods: who may have which, with what logins they are fetched, and when again."""
