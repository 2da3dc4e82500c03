-- A database for each node's state.
CREATE DATABASE aggregator;
CREATE DATABASE alice;
CREATE DATABASE bob;
CREATE DATABASE carol;
CREATE DATABASE auditor;
