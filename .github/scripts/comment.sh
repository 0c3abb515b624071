#!/bin/sh
# Put a comment on the pull request NUMBER, or edit the one of before: sh comment.sh FILE
# Needs gh with GH_TOKEN, and GITHUB_REPOSITORY as GitHub sets it.
set -eu

marker=$(head -n 1 "$1")
# Only a comment that a workflow of ours wrote is edited, whoever else copies its first line.
known=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments" \
    --jq ".[] | select(.user.login == \"github-actions[bot]\" and (.body | startswith(\"$marker\"))) | .id" |
    head -n 1)
if [ -n "$known" ]; then
    gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" --field "body=@$1" --silent
else
    gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments" --field "body=@$1" --silent
fi
